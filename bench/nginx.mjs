// nginx.mjs: nginx with one worker, to be measured beside ours: as whatever the directives make of it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, startProcess } from "./process.mjs";

// `http` gives what stands in its http block, by its port; `probe`: a path that it then answers.
export async function startNginx(folder, http, probe) {
  const port = await freePort();
  const file = join(folder, "nginx.conf");
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
events { worker_connections 1024; }
http {
  keepalive_requests 10000000; access_log ${folder}/access.log combined buffer=64k;
  client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u;
  scgi_temp_path ${folder}/s;
  ${http(port)}
}`,
  );
  const server = await startProcess({
    command: "/usr/sbin/nginx",
    args: ["-c", file, "-p", folder, "-g", "user root;"],
    readyUrl: `http://127.0.0.1:${port}/${probe}`,
  });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

// The files below `root`; `probe` is one of them.
export function startNginxFiles(folder, root, probe) {
  const http = (port) => `include /etc/nginx/mime.types; sendfile on; tcp_nopush on; open_file_cache max=1000;
  server { listen 127.0.0.1:${port}; root ${root}; }`;
  return startNginx(folder, http, probe);
}
