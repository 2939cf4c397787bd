# The documentation as a site.
#   docker build -f docker/docs.Dockerfile -t tims-stack-docs .
ARG NODE=node:24-bookworm-slim

FROM ${NODE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends doxygen
WORKDIR /src
COPY . .
RUN mkdir -p node_modules/.bin && ln -s "$(command -v node)" node_modules/.bin/node && tools/docs/build

FROM ${NODE}
COPY --from=build /src/tools/docs/serve.mjs /app/tools/docs/
COPY --from=build /src/build/docs/html /app/build/docs/html
WORKDIR /app
ENV HOST=0.0.0.0
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["node", "--max-old-space-size=64", "tools/docs/serve.mjs"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tims-stack-docs" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"
