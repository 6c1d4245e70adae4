# anylet as an image: docker build -t anylet:0.1.0 .
# The process provider runs a pod's commands from this image's own files, so what the pods are to run is added to it:
#   FROM anylet:0.1.0
#   USER root
#   RUN apt-get update && apt-get install -y --no-install-recommends …
#   USER 65532:65532
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Install scripts only fetch another Node.js for checkouts with an old one; this one is new enough.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build && npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
# Orphans of containers become children of PID 1, and Node.js reaps none but its own: tini does, and passes signals on
# to the daemon alone, which decides what becomes of the pods.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 anylet \
    && useradd --uid 65532 --gid anylet --home-dir /var/lib/anylet --no-create-home --shell /usr/sbin/nologin anylet \
    && install -d -o anylet -g anylet -m 0700 /var/lib/anylet \
    && ln -s /opt/anylet/bin/anylet.js /usr/local/bin/anylet
COPY --from=build /src/package.json /src/LICENSE /opt/anylet/
COPY --from=build /src/bin /opt/anylet/bin
COPY --from=build /src/dist /opt/anylet/dist
COPY --from=build /src/node_modules /opt/anylet/node_modules

# All that is written lies below these two, so that the rest may be read-only.
ENV ANYLET_STATE_DIR=/var/lib/anylet
VOLUME ["/var/lib/anylet", "/tmp"]
USER 65532:65532
# The kubelet API, and the health checks when `kubelet.healthzPort` is set.
EXPOSE 10250 10248
ENTRYPOINT ["/usr/bin/tini", "--", "anylet"]
CMD ["run"]
