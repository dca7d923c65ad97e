// Parts of a page that ask for themselves again: <section id="…" data-poll="address" data-every="seconds">.
// Not while nobody looks, nor while something in them is pressed: the button would be gone before it is let go.
// An answer with the header HX-Refresh has the whole page loaded anew; a part without data-poll is asked for no more.
{
  const wait = (part) => setTimeout(poll, 1000 * part.dataset.every, part);

  async function poll(part) {
    if (!document.hidden && !part.matches(":active")) {
      try {
        const answer = await fetch(part.dataset.poll);
        if (answer.headers.has("HX-Refresh")) return location.reload();
        const text = await answer.text();
        if (answer.ok && !part.matches(":active")) part = replace(part, text);
      } catch {
        // The site is away; it is asked again.
      }
    }
    if (part?.dataset.poll) wait(part);
  }

  // Whatever has the focus keeps it, if it has an id to be known by.
  function replace({ id }, text) {
    const focused = document.activeElement.id;
    document.getElementById(id).outerHTML = text;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    return document.getElementById(id);
  }

  document.querySelectorAll("[data-poll]").forEach(wait);
}
