// cluster.ts: a Kubernetes of one node, for as long as a test lasts: etcd, the API server, the controllers, the scheduler,
// a kubelet with a Docker engine of its own, kube-proxy and DNS: the real programs, built by `build`.
//
// All of it lives in its own network, mount and process namespaces, so that its end leaves nothing behind: no interface,
// no rule of a packet filter, no mount, no process. A pair of virtual interfaces leads there: pods and services can be
// reached from the test by their addresses. Volumes are folders of this machine, prepared in number.
//
// What it is not: there is no ingress controller, nothing enforces network policies, nothing measures for autoscalers.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../server.ts";
import { kubeconfig, makeCertificates } from "./certificates.ts";
import { startNames } from "./names.ts";

const here = import.meta.dirname;
const CGROUPS = "/sys/fs/cgroup";
const VOLUMES = 4;

// Where `build` puts the programs.
export const programs = execFileSync(join(here, "build"), ["--where"], { encoding: "utf8" }).trim();
export const isBuilt = (): boolean => existsSync(join(programs, "kube-apiserver"));

export class Cluster {
  readonly folder = mkdtempSync(join(tmpdir(), "tims-cluster-"));
  readonly kubeconfig = join(this.folder, "kubeconfig");
  readonly node: string; // its address
  private readonly name = `tims-${randomBytes(4).toString("hex")}`;
  private readonly net = randomInt(256); // of 198.18.0.0/15, which is for tests of networks
  private readonly init: ChildProcess;
  private initPid = 0;
  private readonly children: { name: string; process: ChildProcess }[] = [];
  private stopNames: () => void = () => undefined;

  private constructor() {
    this.node = `198.18.${this.net}.2`;
    const apart = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    this.init = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", "unshare", ...apart, join(here, "node"), this.folder],
      { stdio: ["ignore", this.log("node"), this.log("node")] },
    );
  }

  static async start(): Promise<Cluster> {
    const cluster = new Cluster();
    try {
      await cluster.bringUp();
      return cluster;
    } catch (error) {
      const logs = cluster.logs();
      await cluster.stop();
      throw new Error(`the cluster has not started: ${error}\n${logs}`);
    }
  }

  private log(name: string): number {
    return openSync(join(this.folder, `${name}.log`), "a");
  }

  // The ends of all logs.
  logs(lines = 15): string {
    const files = readdirSync(this.folder).filter((file) => file.endsWith(".log"));
    return files
      .map(
        (file) =>
          `── ${file}\n${readFileSync(join(this.folder, file), "utf8").split("\n").slice(-lines).join("\n")}`,
      )
      .join("\n");
  }

  private inside(program: string, words: string[]): [string, string[]] {
    const spaces = ["--target", String(this.initPid), "--net", "--mount", "--pid"];
    return ["nsenter", [...spaces, "--", program, ...words]];
  }

  // Starts one of the node's programs.
  private run(program: string, words: string[]): ChildProcess {
    const name = program.split("/").at(-1) as string;
    const log = this.log(name);
    const [enter, all] = this.inside(program, words);
    const child = spawn(enter, all, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.children.push({ name, process: child });
    return child;
  }

  // Waits until `condition` holds, unless a program has ended by then.
  private ready(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 120_000) {
    return until(
      what,
      async () => {
        const ended = this.children.find(({ process }) => process.exitCode !== null);
        if (ended) throw new Error(`${ended.name} has ended with ${ended.process.exitCode}`);
        if (this.init.exitCode !== null) throw new Error(`the node has ended with ${this.init.exitCode}`);
        try {
          return await condition();
        } catch {
          return false; // not yet
        }
      },
      timeoutMs,
    );
  }

  private async bringUp(): Promise<void> {
    await this.ready("the node's namespaces", () => existsSync(join(this.folder, "node-is-up")));
    const parent = this.init.pid;
    const [child] = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim().split(" ");
    this.initPid = Number(child);
    this.connect();
    this.makeGroups();
    for (const folder of ["etcd", "docker", "docker-exec", "volumes"]) mkdirSync(join(this.folder, folder));
    makeCertificates(this.folder, [this.node, `198.19.${this.net}.1`, "127.0.0.1"]);
    writeFileSync(this.kubeconfig, kubeconfig(this.folder, `https://${this.node}:6443`));
    this.startEngine();
    this.startControl();
    await this.ready("the API server", () => this.kubectl("get", "--raw", "/readyz") === "ok");
    await this.ready("the engine", () => this.docker("version") !== "");
    this.importPause();
    this.makeVolumes();
    this.stopNames = await startNames(
      this.kubeconfig,
      this.folder,
      (words) => this.run("dnsmasq", words),
      this.node,
    );
    this.startNode();
    const conditions = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    await this.ready(
      "the node to be ready",
      () => this.kubectl("get", "node", "node", "-o", conditions) === "True",
    );
    await this.ready(
      "its account",
      () => this.kubectl("get", "serviceaccount", "default", "-o", "name") !== "",
    );
  }

  // The way in and out.
  private connect(): void {
    const ip = (...words: string[]) => execFileSync("ip", words, { stdio: "pipe" });
    const insideIp = (...words: string[]) => execFileSync(...this.inside("ip", words), { stdio: "pipe" });
    ip("link", "add", this.name, "type", "veth", "peer", "name", "eth0", "netns", String(this.initPid));
    ip("address", "add", `198.18.${this.net}.1/30`, "dev", this.name);
    ip("link", "set", this.name, "up");
    insideIp("address", "add", `${this.node}/30`, "dev", "eth0");
    insideIp("link", "set", "eth0", "up");
    insideIp("route", "add", "default", "via", `198.18.${this.net}.1`);
    for (const range of [`198.18.${this.net}.128/25`, `198.19.${this.net}.0/24`])
      ip("route", "add", range, "via", this.node);
  }

  private groupFolders(): string[] {
    return readdirSync(CGROUPS)
      .filter(
        (controller) => existsSync(join(CGROUPS, controller, "cgroup.procs")) && controller !== "unified",
      )
      .map((controller) => join(CGROUPS, controller, this.name));
  }

  // Its control groups are below one of its own, per controller.
  private makeGroups(): void {
    for (const folder of this.groupFolders()) {
      mkdirSync(folder);
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        if (existsSync(join(folder, file)))
          writeFileSync(join(folder, file), readFileSync(join(folder, "..", file)));
      }
    }
  }

  private startEngine(): void {
    const at = (name: string) => join(this.folder, name);
    this.run("/usr/sbin/dockerd", [
      ...["--data-root", at("docker"), "--exec-root", at("docker-exec"), "--pidfile", at("docker.pid")],
      ...["--host", `unix://${at("docker.sock")}`, "--bip", `198.18.${this.net}.129/25`],
      ...["--iptables=false", "--ip-masq=false", "--cgroup-parent", `/${this.name}/docker`],
      ...["--add-runtime", `granted=${join(here, "runtime")}`, "--default-runtime", "granted"],
    ]);
  }

  private startControl(): void {
    const at = (name: string) => join(this.folder, name);
    const service = (name: string, words: string[]) => this.run(join(programs, name), words);
    this.run("/usr/bin/etcd", [
      ...["--data-dir", at("etcd"), "--unsafe-no-fsync"],
      ...[
        "--listen-client-urls",
        "http://127.0.0.1:2379",
        "--advertise-client-urls",
        "http://127.0.0.1:2379",
      ],
      ...[
        "--listen-peer-urls",
        "http://127.0.0.1:2380",
        "--initial-advertise-peer-urls",
        "http://127.0.0.1:2380",
      ],
      ...["--initial-cluster", "default=http://127.0.0.1:2380"],
    ]);
    service("kube-apiserver", [
      "--etcd-servers=http://127.0.0.1:2379",
      `--bind-address=${this.node}`,
      `--advertise-address=${this.node}`,
      "--authorization-mode=RBAC",
      `--service-cluster-ip-range=198.19.${this.net}.0/24`,
      `--client-ca-file=${at("ca.crt")}`,
      `--tls-cert-file=${at("server.crt")}`,
      `--tls-private-key-file=${at("server.key")}`,
      `--kubelet-client-certificate=${at("admin.crt")}`,
      `--kubelet-client-key=${at("admin.key")}`,
      "--kubelet-preferred-address-types=InternalIP",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-signing-key-file=${at("accounts.key")}`,
      `--service-account-key-file=${at("accounts.key")}`,
    ]);
    service("kube-controller-manager", [
      `--kubeconfig=${this.kubeconfig}`,
      "--leader-elect=false",
      `--root-ca-file=${at("ca.crt")}`,
      `--service-account-private-key-file=${at("accounts.key")}`,
      "--horizontal-pod-autoscaler-sync-period=60s",
    ]);
    service("kube-scheduler", [`--kubeconfig=${this.kubeconfig}`, "--leader-elect=false"]);
  }

  private startNode(): void {
    const at = (name: string) => join(this.folder, name);
    writeFileSync(at("resolv.conf"), "");
    const configuration = {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      address: this.node,
      readOnlyPort: 0,
      authentication: { anonymous: { enabled: false }, x509: { clientCAFile: at("ca.crt") } },
      authorization: { mode: "AlwaysAllow" },
      cgroupRoot: `/${this.name}`,
      cgroupDriver: "cgroupfs",
      enforceNodeAllocatable: [],
      failSwapOn: false,
      clusterDNS: [this.node],
      clusterDomain: "cluster.local",
      resolvConf: at("resolv.conf"),
      hairpinMode: "hairpin-veth",
      oomScoreAdj: 0,
      // This machine's disk is not the cluster's to judge.
      evictionHard: { "memory.available": "1Mi" },
      imageGCHighThresholdPercent: 100,
    };
    writeFileSync(at("kubelet.json"), JSON.stringify(configuration));
    this.run(join(programs, "kubelet"), [
      `--config=${at("kubelet.json")}`,
      `--kubeconfig=${this.kubeconfig}`,
      "--hostname-override=node",
      `--node-ip=${this.node}`,
      `--root-dir=${at("kubelet")}`,
      `--cert-dir=${at("kubelet-pki")}`,
      `--docker-endpoint=unix://${at("docker.sock")}`,
      `--experimental-dockershim-root-directory=${at("dockershim")}`,
      "--pod-infra-container-image=pause:1",
    ]);
    const proxy = {
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      clientConnection: { kubeconfig: this.kubeconfig },
      mode: "iptables",
      hostnameOverride: "node",
      oomScoreAdj: 0,
      // Pods of one bridge would answer each other past the translation of addresses.
      iptables: { masqueradeAll: true, syncPeriod: "30s" },
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    };
    writeFileSync(at("proxy.json"), JSON.stringify(proxy));
    this.run(join(programs, "kube-proxy"), [`--config=${at("proxy.json")}`]);
  }

  private importPause(): void {
    execFileSync("tar", ["-C", programs, "-cf", join(this.folder, "pause.tar"), "pause"]);
    this.docker("import", "--change", 'ENTRYPOINT ["/pause"]', join(this.folder, "pause.tar"), "pause:1");
  }

  // Folders that claims find; kept when a claim goes.
  private makeVolumes(): void {
    const items = Array.from({ length: VOLUMES }, (_, index) => {
      const path = join(this.folder, "volumes", String(index));
      mkdirSync(path);
      chmodSync(path, 0o777); // the kubelet leaves the owner of such a folder alone
      return {
        apiVersion: "v1",
        kind: "PersistentVolume",
        metadata: { name: `volume-${index}` },
        spec: {
          capacity: { storage: "20Gi" },
          accessModes: ["ReadWriteOnce"],
          persistentVolumeReclaimPolicy: "Retain",
          hostPath: { path },
        },
      };
    });
    this.apply({ apiVersion: "v1", kind: "List", items });
  }

  kubectl(...words: string[]): string {
    return execFileSync(join(programs, "kubectl"), [`--kubeconfig=${this.kubeconfig}`, ...words], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  apply(document: object): void {
    const file = join(this.folder, `apply-${randomBytes(4).toString("hex")}.json`);
    writeFileSync(file, JSON.stringify(document));
    this.kubectl("apply", "-f", file);
  }

  // The engine of its node.
  docker(...words: string[]): string {
    return execFileSync("/usr/bin/docker", ["-H", `unix://${join(this.folder, "docker.sock")}`, ...words], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async stop(): Promise<void> {
    this.stopNames();
    const children = [this.init, ...this.children.map(({ process }) => process)];
    const gone = children.map((child) =>
      child.exitCode === null && child.signalCode === null
        ? new Promise((done) => child.once("exit", done))
        : null,
    );
    if (this.initPid) process.kill(this.initPid, "SIGKILL");
    else this.init.kill("SIGKILL");
    await Promise.all(gone);
    for (const folder of [...this.groupFolders(), join(CGROUPS, "unified", this.name)])
      await until(`${folder} to be empty`, () => removeGroup(folder));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// A control group and those below it, once no process is there.
function removeGroup(folder: string): boolean {
  if (!existsSync(folder)) return true;
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (!below.map(({ name }) => removeGroup(join(folder, name))).every(Boolean)) return false;
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}
