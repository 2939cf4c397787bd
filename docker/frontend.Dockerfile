# The render server, which the backend asks for pages.
#   docker build -f docker/frontend.Dockerfile -t tims-stack-frontend .
ARG BASE=debian:bookworm-slim
ARG NODE=node:24-bookworm-slim

# The same lines as in backend.Dockerfile, so that the front end is built once for both.
FROM ${NODE} AS front
WORKDIR /src
COPY .npmrc package.json package-lock.json ./
COPY front/package.json front/
COPY packages/client/package.json packages/client/
COPY tests/package.json tests/
COPY bench/package.json bench/
RUN --mount=type=cache,target=/root/.npm npm ci --no-progress --workspace front --workspace packages/client
COPY packages packages
COPY front front
RUN NEXT_TELEMETRY_DISABLED=1 STANDALONE=true sh -c "npm run api-docs --silent --workspace front && npm run build --silent --workspace front"

# Next's own list of what it needs at run time, and the server that stands before it.
FROM front AS made
RUN mkdir /made && cp -a front/dist/server/standalone /made/app \
    && cp front/render.mjs /made/app/front/ \
    && rm -f /made/app/front/server.js

FROM ${NODE}
COPY --from=made /made /
WORKDIR /app
ENV NODE_ENV=production STANDALONE=true HOST=0.0.0.0 PORT=3000 NEXT_TELEMETRY_DISABLED=1
USER 1000:1000
EXPOSE 3000
ENTRYPOINT ["node", "--max-old-space-size=256", "--max-semi-space-size=16", "front/render.mjs"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tims-stack-frontend" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"
