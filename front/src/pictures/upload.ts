/* fetch that tells how far an upload is, which only XMLHttpRequest knows. For client.api(…, { fetch }). */

/** `onProgress` is told a share from 0 to 1. */
export function uploading(onProgress: (share: number) => void): typeof fetch {
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open(init.method ?? "POST", String(url));
      request.withCredentials = init.credentials === "include";
      request.responseType = "blob";
      for (const [name, value] of Object.entries(init.headers as Record<string, string>))
        request.setRequestHeader(name, value);
      request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
      request.onload = () => {
        const headers = new Headers();
        for (const line of request.getAllResponseHeaders().trim().split(/\r?\n/)) {
          const colon = line.indexOf(":");
          if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
        }
        const { status, statusText } = request;
        resolve(
          new Response(status === 204 ? null : (request.response as Blob), { status, statusText, headers }),
        );
      };
      request.onerror = () => reject(new TypeError("The request has failed."));
      request.onabort = () => reject(new DOMException("The request was aborted.", "AbortError"));
      init.signal?.addEventListener("abort", () => request.abort());
      request.send(init.body as XMLHttpRequestBodyInit);
    });
}
