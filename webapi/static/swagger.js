// validatorUrl: null, or the page would send the address of our document to somebody else's server.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
