// manifests.ts: manifests against what Kubernetes says of its kinds, strictly. The npm package kubernetes-models has both
// halves, made from its OpenAPI documents: validators (types, required fields, enums, formats such as quantities), which let
// unknown fields pass as a server does, and TypeScript's types, by which the compiler refuses unknown fields of a literal.
import { createRequire } from "node:module";
import { join } from "node:path";
import ts from "typescript";
import { root } from "../server.ts";
import { asText, type Manifest } from "./helm.ts";

const require = createRequire(import.meta.url);

// Kinds of other people's operators, which Kubernetes knows nothing of.
const foreign = new Set(["monitoring.coreos.com/v1/ServiceMonitor"]);

const moduleOf = (manifest: Manifest) => `kubernetes-models/${manifest.apiVersion}/${manifest.kind}`;

function known(manifest: Manifest): boolean {
  try {
    require.resolve(moduleOf(manifest));
    return true;
  } catch {
    return false;
  }
}

function valueErrors(manifest: Manifest): string[] {
  const model = require(moduleOf(manifest))[manifest.kind] as new (data: object) => { validate(): void };
  try {
    new model(manifest).validate();
    return [];
  } catch (error) {
    return [`${asText(manifest)}: ${(error as Error).message}`];
  }
}

// One program for all, as reading the types is what takes the time. The file exists for the compiler only.
function fieldErrors(manifests: Manifest[]): string[] {
  const file = join(root, "tests/deploy/manifests.generated.ts");
  const lines = manifests.map(
    (manifest, i) =>
      `import type { I${manifest.kind} as T${i} } from "${moduleOf(manifest)}"; export const m${i}: T${i} = ${JSON.stringify(manifest)};`,
  );
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  const exists = host.fileExists.bind(host);
  host.fileExists = (name) => name === file || exists(name);
  host.getSourceFile = (name, language, ...rest) =>
    name === file ? ts.createSourceFile(name, lines.join("\n"), language) : read(name, language, ...rest);
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map((found) => {
    const line = found.file?.getLineAndCharacterOfPosition(found.start ?? 0).line ?? 0;
    const manifest = manifests[line];
    return `${manifest ? asText(manifest) : file}: ${ts.flattenDiagnosticMessageText(found.messageText, " ")}`;
  });
}

// Every fault, a sentence each; none for manifests that a strict server takes.
export function manifestErrors(manifests: Manifest[]): string[] {
  const own = manifests.filter((each) => !foreign.has(`${each.apiVersion}/${each.kind}`));
  const unknown = own.filter((each) => !known(each));
  const others = own.filter(known);
  return [
    ...unknown.map((each) => `${asText(each)}: Kubernetes has no ${each.apiVersion} ${each.kind}`),
    ...others.flatMap(valueErrors),
    ...fieldErrors(others),
  ];
}
