/** In the local storage of a shell for developers: which backend was chosen. */
export const API_KEY = "tims-api";
