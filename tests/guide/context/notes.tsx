interface Note {
  id: string;
  text: string;
  done: boolean;
}

/* What `npm run types` would write. */
declare module "@tims/client" {
  interface TimsApi {
    "/api/notes/": {
      get: { responses: { 200: { content: { "application/json": { rows: Note[] } } } } };
      post: {
        requestBody: { content: { "application/json": { text: string } } };
        responses: { 201: { content: { "application/json": Note } } };
      };
    };
  }
}

/* here */
