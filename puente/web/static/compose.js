// Makes writing livelier: fields at the cursor, the preview as one types. Everything works without it.
(() => {
  const form = document.getElementById("write");
  if (!form || !window.fetch) return;
  const text = document.getElementById("text");
  const preview = document.getElementById("preview");
  const status = document.getElementById("preview-status");
  const REST = 900; // milliseconds without a keystroke

  const insert = document.getElementById("insert");
  insert.hidden = false;
  insert.addEventListener("click", (event) => {
    const field = event.target.dataset.insert;
    if (!field) return;
    text.setRangeText(field, text.selectionStart, text.selectionEnd, "end");
    if (["{date}", "{time}", "{link}"].includes(field)) document.getElementById("values").open = true;
    text.focus();
    soon();
  });

  const chooseTime = () => {
    const chosen = form.elements.when.value;
    for (const part of form.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(chosen);
  };
  chooseTime();

  let timer, asked;
  const soon = () => {
    clearTimeout(timer);
    // What was shown is not what stands there any more, so it may not be sent unseen.
    const seen = preview.querySelector("[name=seen]");
    if (seen) seen.remove();
    timer = setTimeout(show, REST);
  };
  const show = async () => {
    if (asked) asked.abort();
    asked = new AbortController();
    status.textContent = form.dataset.wait;
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form), signal: asked.signal, redirect: "error" });
      if (!answer.ok) throw new Error(answer.status);
      preview.innerHTML = await answer.text();
      status.textContent = form.dataset.done;
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = form.dataset.lost;
    }
  };
  form.addEventListener("input", (event) => {
    if (event.target.name === "when") chooseTime();
    if (!["search", "name", "shared"].includes(event.target.name)) soon();
  });
  if (!preview.querySelector("[name=seen]") && form.querySelector("[name=to]:checked")) show();
})();
