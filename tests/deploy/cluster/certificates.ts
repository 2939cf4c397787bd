// certificates.ts: the keys of a cluster: its authority, the API server's, an administrator's, and the pair that signs the
// tokens of service accounts. Made by openssl, valid for two days.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const openssl = (folder: string, ...words: string[]) =>
  execFileSync("openssl", words, { cwd: folder, stdio: "pipe" });

// NAME.key and NAME.crt, signed by ca.
function sign(folder: string, name: string, subject: string, extensions: string): void {
  writeFileSync(join(folder, `${name}.ext`), extensions);
  const request = ["-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`, "-subj", subject];
  openssl(folder, "req", "-new", ...request, "-out", `${name}.csr`);
  const by = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
  openssl(
    folder,
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...by,
    "-extfile",
    `${name}.ext`,
    "-out",
    `${name}.crt`,
  );
}

export function makeCertificates(folder: string, addresses: string[]): void {
  const authority = ["-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-subj", "/CN=test cluster"];
  openssl(folder, "req", "-x509", ...authority, "-days", "2", "-out", "ca.crt");
  const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map((name) => `DNS:${name}`);
  const all = [...names, ...addresses.map((address) => `IP:${address}`)].join(",");
  sign(folder, "server", "/CN=kube-apiserver", `subjectAltName=${all}\nextendedKeyUsage=serverAuth\n`);
  sign(folder, "admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth\n");
  openssl(folder, "genrsa", "-out", "accounts.key", "2048");
}

export function kubeconfig(folder: string, server: string): string {
  const at = (name: string) => join(folder, name);
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority": at("ca.crt") } }],
    users: [
      { name: "admin", user: { "client-certificate": at("admin.crt"), "client-key": at("admin.key") } },
    ],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
  });
}
