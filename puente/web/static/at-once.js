/* A form that says that something was read presses itself, once, and is gone. Without this file there is its button. */
"use strict";
for (const form of document.querySelectorAll("form[data-at-once]")) {
  fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" })
    .then(() => form.remove())
    .catch(() => {});
}
