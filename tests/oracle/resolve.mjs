// resolve.mjs: packages/client is written for bundlers, which find "./api" without its ending; this tells Node.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    const isOurs = specifier.startsWith(".") && context.parentURL?.includes("/packages/client/src/");
    return next(isOurs && !/\.tsx?$/.test(specifier) ? `${specifier}.ts` : specifier, context);
  },
});
