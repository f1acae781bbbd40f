"use strict";
const form = document.querySelector("form");
const chosen = form.elements.file;
const status = document.querySelector("[role=status]");
const largest = Number(form.dataset.largest);

form.addEventListener("submit", (event) => {
  const file = chosen.files[0];
  if (file.size > largest) {
    event.preventDefault();
    status.textContent = `${file.name} is larger than ${largest >> 20} MB: cut it to the field, or ask python -m pipeline.predict on it`;
    return;
  }
  status.textContent = `Asking about ${file.name} …`;
});

window.addEventListener("pageshow", (event) => {
  if (event.persisted) status.textContent = "";  // the way back from an answer
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragged");
});

document.addEventListener("dragleave", () => document.body.classList.remove("dragged"));

document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragged");
  if (event.dataTransfer.files.length !== 1) {
    status.textContent = "Drop one file at a time.";
    return;
  }
  chosen.files = event.dataTransfer.files;
  form.requestSubmit();
});
