// Light, dark, or as the system: remembered in the cookie `theme`, applied at once.
import { find, on, setIcon } from "../dom.js";

const ORDER = { light: "system", dark: "light", system: "dark" };

export function currentTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

export function setTheme(theme) {
  const known = theme === "light" || theme === "dark";
  if (known) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  document.cookie = `theme=${known ? theme : ""};path=/;max-age=${known ? 31536000 : 0};samesite=lax`;
  const button = find("[data-theme-button]");
  if (button) describe(button, known ? theme : "system");
}

export function nextTheme() {
  setTheme(ORDER[currentTheme()]);
}

function describe(button, theme) {
  const name = { light: button.dataset.saysLight, dark: button.dataset.saysDark, system: button.dataset.saysSystem }[theme];
  button.setAttribute("aria-label", name);
  button.title = name;
  button.value = ORDER[theme];
  setIcon(button, theme === "light" ? "sun" : "moon");
}

on("submit", "[data-theme-form]", (event) => {
  event.preventDefault();
  nextTheme();
});

on("change", "[data-theme-choice]", (event, choice) => setTheme(choice.value));
