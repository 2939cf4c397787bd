/* Written by tools/types from the backend's descriptors. Not to be edited: `npm run types` writes it anew. */
import type { Form } from "../form";

export const forms = {
  changePassword: {"method":"POST","path":"/api/auth/password/","fields":[{"name":"old","kind":"text","format":"password","minLength":1,"maxLength":1000,"required":true},{"name":"new","kind":"text","format":"password","minLength":1,"maxLength":1000,"required":true}]},
  updateMe: {"method":"PATCH","path":"/api/auth/me/","fields":[{"name":"display_name","kind":"text","minLength":1,"maxLength":60,"required":true},{"name":"email","kind":"text","format":"email","maxLength":254,"nullable":true}]},
} as const satisfies Record<string, Form>;
