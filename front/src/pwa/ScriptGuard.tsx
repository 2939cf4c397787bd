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
  /** Loading anew was tried just now. */
  inVain: boolean;
}

export class ScriptGuard extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null, inVain: false };

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error };
  }

  override componentDidCatch(error: unknown) {
    if (isLost(error) && !loadAnew()) this.setState({ inVain: true });
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
    const { error, inVain } = this.state;
    if (error === null) return this.props.children;
    if (inVain || !isLost(error)) throw error;
    return null; // it goes in a moment
  }
}
