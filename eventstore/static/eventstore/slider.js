// A part of the page follows a slider: <form data-slider="id of the part"> with a range and a number, and the keys ← and →
// outside of fields. Without this script the form is sent.
for (const form of document.querySelectorAll("[data-slider]")) {
  const part = document.getElementById(form.dataset.slider);
  const { version, number, shown } = form.elements;
  let asked = 0;
  let waits;

  version.addEventListener("input", () => show(version.value));
  number.addEventListener("change", () => show(number.value));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show(number.value);
  });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const elsewhere = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (!step || elsewhere || event.target.closest("input, select, textarea, [contenteditable]")) return;
    event.preventDefault();
    show(Number(version.value) + step);
  });
  part.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?version=']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(new URLSearchParams(link.getAttribute("href")).get("version"));
  });

  function show(wanted) {
    const value = Math.min(Math.max(1, Math.round(wanted) || 1), Number(version.max));
    version.value = number.value = shown.value = value;
    clearTimeout(waits);
    waits = setTimeout(ask, 80, value);
  }

  // Of several answers the one counts that was asked for last.
  async function ask(value) {
    const turn = ++asked;
    const answer = await fetch(`?version=${value}&part=1`).catch(() => null);
    if (turn !== asked || !answer) return;
    if (answer.redirected) return location.reload(); // whoever was logged out meanwhile
    if (!answer.ok) return;
    part.innerHTML = await answer.text();
    history.replaceState(null, "", `?version=${value}`);
  }
}
