# The render server for developers: mount front/ over /app/front, and what is saved there is what pages show.
#   docker build -f docker/frontend_dev.Dockerfile -t tims-stack-frontend-dev .
ARG NODE=node:24-bookworm-slim
FROM ${NODE}
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
COPY front/package.json front/
COPY packages/client/package.json packages/client/
COPY tests/package.json tests/
COPY bench/package.json bench/
RUN --mount=type=cache,target=/root/.npm npm ci --no-progress --workspace front --workspace packages/client
COPY packages packages
COPY --chown=1000:1000 front front
ENV NODE_ENV=development HOST=0.0.0.0 PORT=3000 NEXT_TELEMETRY_DISABLED=1
USER 1000:1000
EXPOSE 3000
ENTRYPOINT ["node", "front/render.mjs"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tims-stack-frontend-dev" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"
