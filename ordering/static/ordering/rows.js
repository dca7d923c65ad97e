// Adds and removes the rows of a formset. Removed rows stay in the form, marked as deleted.
document.addEventListener("click", ({ target }) => {
  const adds = target.closest("[data-add-row]")?.dataset.addRow;
  if (adds) {
    const rows = document.querySelector(`[data-rows="${adds}"]`);
    const total = document.querySelector(`[name="${adds}-TOTAL_FORMS"]`);
    const row = rows.querySelector("template").innerHTML.replaceAll("__prefix__", total.value);
    rows.insertAdjacentHTML("beforeend", row);
    total.value = Number(total.value) + 1;
    rows.lastElementChild.querySelector("input").focus();
  }
  const row = target.closest("[data-remove-row]")?.closest("fieldset");
  if (row) {
    row.querySelector("[name$=-DELETE]").checked = true;
    row.hidden = true;
  }
});
