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

  // Whatever has the focus keeps it, known by its id, or by where it leads; and what was unfolded stays so.
  function replace({ id }, text) {
    const before = document.getElementById(id), focused = document.activeElement;
    const unfolded = [...before.querySelectorAll("details[id][open]")].map((each) => each.id);
    const place = before.contains(focused) ? alike(before, focused).indexOf(focused) : -1;
    before.outerHTML = text;
    const after = document.getElementById(id);
    for (const each of unfolded) document.getElementById(each)?.setAttribute("open", "");
    if (place >= 0) (alike(after, focused)[place] ?? alike(after, focused).at(-1))?.focus({ preventScroll: true });
    return after;
  }

  // The elements that may stand for this one: of its id, or those that lead to the same page.
  function alike(part, element) {
    const by = element.id ? `#${CSS.escape(element.id)}` : `[href="${CSS.escape(element.getAttribute("href"))}"]`;
    return [...part.querySelectorAll(by)];
  }

  document.querySelectorAll("[data-poll]").forEach(wait);
}
