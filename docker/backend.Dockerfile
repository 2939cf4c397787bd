# The backend, and with the command `worker` a worker: the program, and the files that it serves.
#   docker build -f docker/backend.Dockerfile -t tims-stack-backend .
ARG BASE=debian:bookworm-slim
ARG NODE=node:24-bookworm-slim

# The same lines as in frontend.Dockerfile, so that the front end is built once for both.
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

FROM ${BASE} AS build
WORKDIR /src
COPY tools/setup tools/
RUN tools/setup build
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY stack stack
COPY back back
RUN --mount=type=cache,target=/root/.cache/ccache cmake --preset release && cmake --build build/release --target chat
# The folder of the files that change, owned by the user of the image that has no shell to do it with.
RUN mkdir -p /made/app/front/dist/server /made/data && cp build/release/chat /made/app/ && chown 10001:10001 /made/data

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libbrotli1 libcurl4 libhiredis0.14 libjansson4 libpq5 \
        libsodium23 libsqlite3-0 libssl3 libuv1 libwslay1 tzdata zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
COPY --from=build /made /
COPY --from=front /src/front/dist/app /app/front/dist/app
COPY --from=front /src/front/dist/api-docs /app/front/dist/api-docs
COPY --from=front /src/front/dist/server/static /app/front/dist/server/static
COPY --from=front /src/front/dist/server/BUILD_ID /app/front/dist/server/
COPY --from=front /src/front/public /app/front/public
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000 DATABASE_URL=sqlite:/data/app.sqlite3
USER 10001:10001
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["/app/chat"]
CMD ["serve"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tims-stack-backend" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"
