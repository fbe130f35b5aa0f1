// The API page: Swagger UI over the description that this node gives of itself.

/* global SwaggerUIBundle */

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // The validator's badge would tell a server on the internet about this node.
  validatorUrl: null,
  // The token of the board in this tab, so that trying a call needs no typing.
  requestInterceptor: (request) => {
    const token = sessionStorage.getItem("skerry-token");
    if (token && !request.headers.Authorization) request.headers.Authorization = `Bearer ${token}`;
    return request;
  },
});
