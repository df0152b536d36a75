import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  server: {
    // While developing, Vite is the proxy that makes both one origin.
    proxy: { "/api": process.env.GATELODGE ?? "http://localhost:8080" },
  },
});
