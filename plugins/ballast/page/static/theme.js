// Follows Airflow's choice of light or dark where the page is shown inside it; otherwise the system's.
// A classic script in the head, so that the first paint has the right colours already.
"use strict";

(() => {
  const root = document.documentElement;

  const chosen = () => {
    try {
      if (window.parent !== window) {
        const classes = window.parent.document.documentElement.classList;
        if (classes.contains("dark")) return "dark";
        if (classes.contains("light")) return "light";
      }
      const stored = window.localStorage.getItem("theme"); // where Airflow keeps it
      if (stored === "dark" || stored === "light") return stored;
    } catch {
      // Another origin, or no storage: the system's choice is good enough.
    }
    return "";
  };

  const apply = () => {
    const theme = chosen();
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    window.dispatchEvent(new Event("ballast:theme"));
  };

  apply();
  window.addEventListener("storage", apply);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    window.dispatchEvent(new Event("ballast:theme"));
  });
  try {
    if (window.parent !== window) {
      const outer = window.parent.document.documentElement;
      new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
    }
  } catch {
    // Another origin.
  }
})();
