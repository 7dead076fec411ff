// Gives each drawing a button that shows it as large as it was drawn, in a dialog that fills the window.
const dialog = document.createElement("dialog");
dialog.className = "enlarged";
document.body.append(dialog);

for (const drawing of document.querySelectorAll(".drawing")) {
  drawing.append(button("Enlarge", () => enlarge(drawing)));
}

function enlarge(drawing) {
  // Moved and not copied: the theme draws into a closed shadow, which a copy would not have.
  const picture = drawing.querySelector(".mermaid");
  dialog.replaceChildren(button("Close", () => dialog.close()), picture);
  dialog.addEventListener("close", () => drawing.prepend(picture), { once: true });
  dialog.showModal();
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}
