// What is wider than its place can be scrolled by keyboard; what is not takes no stop of the Tab key.
const reach = new ResizeObserver((entries) => {
  for (const { target } of entries) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});
for (const place of document.querySelectorAll(".wide")) reach.observe(place);

// Pictures that move get a button: it holds them at their last frame and starts them again.
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const image of document.querySelectorAll("img[data-still]")) {
  const moving = image.dataset.moving;
  const button = document.createElement("button");
  const show = (moves) => {
    image.src = moves ? moving : image.dataset.still;
    button.textContent = moves ? "Pause" : "Play";
    button.setAttribute("aria-label", `${button.textContent} the animation ${image.dataset.name}`);
  };
  button.type = "button";
  button.addEventListener("click", () => show(image.src !== moving));
  image.closest(".figure").after(button);
  show(!still);
}
