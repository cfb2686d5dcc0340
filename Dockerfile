# syntax=docker/dockerfile:1
# drkit for CronJobs: docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/drkit:VERSION .
# Everything from PyPI is pinned with its hash, what builds it included; Borg is compiled, as PyPI has its source alone.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        gcc libacl1-dev libc6-dev liblz4-dev libssl-dev libxxhash-dev libzstd-dev pkgconf \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements-build.lock \
    && /opt/build/bin/pip wheel --require-hashes --no-deps --no-build-isolation --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY drkit ./drkit
COPY chaos ./chaos
COPY runbooks ./runbooks
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/drkit \
    && /opt/build/bin/pip --python /opt/drkit/bin/python install --no-index --no-deps /wheels/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="drkit" \
      org.opencontainers.image.description="Backup, disaster recovery and high-availability drills for small k3s clusters" \
      org.opencontainers.image.licenses="Apache-2.0"
# PostgreSQL's server is what a deep verification restores into; it makes no cluster of its own here.
RUN mkdir -p /etc/postgresql-common && echo create_main_cluster = false > /etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && apt-get install -y --no-install-recommends \
        libacl1 liblz4-1 libssl3t64 libxxhash0 libzstd1 openssh-client postgresql tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /var/lib/drkit --create-home --shell /usr/sbin/nologin drkit
COPY --from=build /opt/drkit /opt/drkit
ENV PATH=/opt/drkit/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/drkit
# A pod that ends is asked how it went by its exit code; there is nothing to ask while it works.
HEALTHCHECK NONE
# Orphans of ssh and Borg are taken in: drkit would be process 1 otherwise.
ENTRYPOINT ["tini", "--", "drkit"]
CMD ["--help"]
