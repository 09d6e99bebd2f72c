// Shows how far the search for a plan is. Without it, a link loads the page again.
(() => {
  const packing = document.getElementById("packing");
  if (!packing || !packing.dataset.from) return;
  const timer = setInterval(async () => {
    const answer = await fetch(packing.dataset.from, { credentials: "same-origin" }).catch(() => null);
    if (!answer) return;
    if (!answer.ok || answer.redirected || answer.headers.get("X-Over")) {
      clearInterval(timer);
      location.replace(location.pathname); // without what was said when the search began
      return;
    }
    packing.innerHTML = await answer.text();
  }, 4000);
})();
