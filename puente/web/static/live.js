// Keeps the numbers of a message up to date while its texts are on their way. Without it, a link loads the page again.
(() => {
  const progress = document.getElementById("progress");
  if (!progress || !progress.dataset.events || !window.EventSource) return;
  const spoken = document.getElementById("live-sum");
  const events = new EventSource(progress.dataset.events);
  events.onmessage = (event) => {
    progress.innerHTML = JSON.parse(event.data);
    // Only the sentence is read out, not the whole table.
    const sum = progress.querySelector("[data-live=sum]");
    if (sum && spoken.textContent !== sum.textContent) spoken.textContent = sum.textContent;
    sum.hidden = true;
  };
  events.addEventListener("over", () => events.close());
})();
