/* A script that is not there any more: an old tab after a deployment, without a worker that has kept it. The page is
 * loaded anew, once; typed text comes along (typed.ts). Next does the same for the scripts of whole pages. */
import { Component, type ReactNode } from "react";

const LOADED = "loaded-anew"; // when, in session storage
const AGAIN_MS = 60_000;

/** False when that was tried just now: then it does not help. */
function loadAnew(): boolean {
  try {
    if (Date.now() - Number(sessionStorage.getItem(LOADED)) < AGAIN_MS) return false;
    sessionStorage.setItem(LOADED, String(Date.now()));
  } catch {
    return false; // it could go round in circles
  }
  window.location.reload();
  return true;
}

const isLost = (error: unknown) => error instanceof Error && error.name === "ChunkLoadError";

interface State {
  error: unknown;
}

export class ScriptGuard extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override componentDidMount() {
    window.addEventListener("unhandledrejection", this.onRejection);
  }

  override componentWillUnmount() {
    window.removeEventListener("unhandledrejection", this.onRejection);
  }

  /** Of an import() that nobody waits for in a render. */
  private onRejection = ({ reason }: PromiseRejectionEvent) => void (isLost(reason) && loadAnew());

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    if (!isLost(error) || !loadAnew()) throw error;
    return null;
  }
}
