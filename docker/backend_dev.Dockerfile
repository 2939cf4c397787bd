# The backend for developers: compilers and sources; mount back/ over /app/back, and what is saved there is built and runs
# in place of the old program, whose socket it keeps.
#   docker build -f docker/backend_dev.Dockerfile -t tims-stack-backend-dev .
ARG BASE=debian:bookworm-slim
FROM ${BASE}
WORKDIR /app
COPY tools/setup tools/
RUN tools/setup build && mkdir /data && chown 10001:10001 /app /data
USER 10001:10001
ENV CCACHE_DISABLE=1
COPY --chown=10001:10001 CMakeLists.txt CMakePresets.json ./
COPY --chown=10001:10001 cmake cmake
COPY --chown=10001:10001 stack stack
COPY --chown=10001:10001 back back
RUN cmake --preset release && cmake --build build/release --target chat
# Whoever owns the mounted sources runs it, and builds here; --chmod has no word for "all may write where the owner may".
RUN chmod -R a+rwX build && chmod 1777 /data
COPY --chown=10001:10001 tools/build-back tools/watch tools/
COPY --chown=10001:10001 docker/backend_dev.sh docker/
ENV DEVELOPMENT=true NODE_ENV=development HOST=0.0.0.0 PORT=8000 DATABASE_URL=sqlite:/data/app.sqlite3
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["/app/docker/backend_dev.sh"]
CMD ["serve"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tims-stack-backend-dev" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${REVISION}"
