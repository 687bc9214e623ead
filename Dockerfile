# The base is pinned by tag; a registry that signs or mirrors it pins the digest with
# `--build-arg BASE=python:3.11.14-slim-bookworm@sha256:...`.
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN pip install uv==0.13.9 && python -m venv --without-pip /opt/slipway
WORKDIR /src
# Dependencies first: they change less often than the sources.
COPY requirements.lock requirements-dev.lock ./
RUN uv pip sync --python /opt/slipway/bin/python --require-hashes --compile-bytecode requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY webhook webhook
COPY certs certs
COPY charts/slipway/crds charts/slipway/crds
# What builds the wheel is held to the hashes of the development lock.
RUN uv build --wheel --require-hashes --build-constraints requirements-dev.lock --out-dir /dist \
    && uv pip install --python /opt/slipway/bin/python --no-deps --compile-bytecode /dist/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="slipway" \
      org.opencontainers.image.description="Guarded releases for plain Kubernetes Deployments" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/slipway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/slipway /opt/slipway
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8443 9090
ENTRYPOINT ["slipway"]
CMD ["--help"]
