// Sets the theme before the first paint: the chosen one (a cookie), else the system's.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => document.cookie.match(/(?:^|; )theme=(light|dark)/)?.[1];
  const apply = () => {
    root.dataset.theme = chosen() ?? (system.matches ? "dark" : "light");
    root.classList.toggle("dark-mode", root.dataset.theme === "dark"); // for Swagger UI
  };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-toggle]")) return;
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
    apply();
  });
})();
