# detbox, as one image. ACCELERATOR chooses between TensorFlow with CUDA (gpu) and without (cpu).
#   docker build --tag detbox:gpu .
#   docker build --tag detbox:cpu --build-arg ACCELERATOR=cpu --build-arg BASE_IMAGE=ubuntu:24.04 .
# No `# syntax=` line: any BuildKit builds this, and no frontend is fetched from a registry.
#
# One commit on one base gives the same layers each time, if the distribution's packages are the same. So each step
# ends by giving all that it wrote one time. COPY gives folders that it puts something into the time of the build,
# unless they come with it: hence /layer, which is copied as a whole.

# What TensorFlow 2.21 is built for. CUDA's libraries come from the lock, the base has only what passes a GPU in.
# To pin the bytes too: nvidia/cuda:12.5.1-base-ubuntu24.04@sha256:... (docs/operations.md).
ARG BASE_IMAGE=nvidia/cuda:12.5.1-base-ubuntu24.04
ARG ACCELERATOR=gpu
# Names of optional dependencies to include: notify, which tells of a run's end, for 15 MB; datumaro, which reads forty
# more formats of data sets, for 0.4 GB.
ARG EXTRAS="notify"
# The time of every file. Not that of the commit, SOURCE_DATE_EPOCH, so that a layer changes with its content only.
ARG FILE_TIME=2020-01-01Z

FROM ${BASE_IMAGE} AS hosts
ARG ACCELERATOR
# compose.yaml asks for a driver before a build for GPUs begins, as the containers would end without one: the kernel of
# the host tells, but for WSL's.
ARG HOST_GPU=""
RUN if [ "${ACCELERATOR}-${HOST_GPU}" = gpu-required ] \
        && [ ! -e /proc/driver/nvidia/version ] && ! grep -qi microsoft /proc/version; then \
        echo "detbox: error: this machine has no NVIDIA driver -> -f compose.yaml -f compose.cpu.yaml trains on the CPU;" \
            "HOST_GPU=none builds the image for another machine" >&2; \
        exit 1; \
    fi
# During a step the engine has a hosts of its own in /etc; one that it had to make, it takes away after the last command,
# and /etc has another time. So there is one.
ARG FILE_TIME
RUN mkdir --parents /layer/etc && touch /layer/etc/hosts && find /layer -exec touch --date="${FILE_TIME}" {} +

FROM ${BASE_IMAGE} AS base
ARG FILE_TIME
COPY --from=hosts /layer/ /
# The distribution's own Python: Ubuntu 24.04 has 3.12, Debian 12 has 3.11, Debian 13 has 3.13, and all will do.
# tini passes SIGTERM on, which a Python as process 1 would not get. Versions are the distribution's to choose.
# Logs and caches go to memory: to remove one that the base has would be written down, with the time.
# hadolint ignore=DL3008
RUN --mount=type=tmpfs,target=/var/lib/apt/lists --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=tmpfs,target=/var/cache/ldconfig --mount=type=tmpfs,target=/var/log \
    touch --date="1 second ago" /dev/shm/began \
    && apt-get update \
    && PYTHONHASHSEED=0 apt-get install --yes --no-install-recommends ca-certificates python3 tini \
    && find /etc /home /opt /root /run /srv /tmp /usr /var -xdev -newer /dev/shm/began \
        ! -path /etc/hosts ! -path /etc/resolv.conf -exec touch --no-dereference --date="${FILE_TIME}" {} +

FROM base AS tools
# pip and uv bring certificates of their own; the system's also have those that a company adds to its base image.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON=/usr/bin/python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_HTTP_TIMEOUT=180
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
# In a venv of its own: the distribution's Python is "externally managed".
COPY scripts/uv.txt /src/
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --require-hashes --requirement /src/uv.txt
ENV PATH=/opt/uv/bin:${PATH}
COPY scripts/compile-packages /usr/local/bin/

FROM tools AS requirements
ARG ACCELERATOR
ARG EXTRAS
WORKDIR /src
COPY pyproject.toml uv.lock ./
# tf-keras asks for `tensorflow`; in the CPU image `tensorflow-cpu`, the same code without GPU kernels, stands in.
RUN case "${ACCELERATOR}-$(uname -m)" in \
        gpu-x86_64) set -- --extra gpu ;; \
        cpu-x86_64) set -- --group cpu --no-emit-package tensorflow ;; \
        cpu-*) set -- ;; \
        *) echo "ACCELERATOR=${ACCELERATOR} on $(uname -m) is unknown -> cpu, or on x86_64 gpu" >&2; exit 1 ;; \
    esac \
    && for extra in ${EXTRAS}; do set -- "$@" --extra "${extra}"; done \
    && uv export --quiet --frozen --no-header --no-dev --no-emit-project --no-emit-package object-detection "$@" \
        --output-file requirements.txt \
    && uv export --quiet --frozen --no-header --only-group build --output-file build.txt

FROM tools AS wheel
WORKDIR /src
COPY --from=requirements /src/build.txt ./
COPY third_party/object_detection .
# The backend fetches upstream's archives by hash and patches them; the same patches give the same bytes.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv build --wheel --build-constraints build.txt --require-build-hashes --out-dir /wheels .

FROM tools AS environment
ARG FILE_TIME
# Only what the lock gave decides this layer: a change of our code, of a patch, of pyproject.toml leaves it as it is.
COPY --from=requirements /src/requirements.txt /src/
# tensorflow/include is 0.3 GB of headers for building operations in C++.
# Compiled here: on a read-only root nothing could be compiled at the first import, which then reads no source.
# Our code and the patched OD API lie beside the environment, in a layer of their own.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv venv /opt/detbox/env \
    && uv pip install --python /opt/detbox/env --no-deps --no-build --require-hashes \
        --requirements /src/requirements.txt \
    && packages="$(echo /opt/detbox/env/lib/python3*/site-packages)" \
    && rm -r "${packages}/tensorflow/include" \
    && echo /opt/detbox/code >"${packages}/detbox.pth" \
    && compile-packages unchecked-hash "${packages}" \
    && mkdir --parents /layer/opt/detbox \
    && mv /opt/detbox/env /layer/opt/detbox/ \
    && find /layer -exec touch --no-dereference --date="${FILE_TIME}" {} +

FROM tools AS code
ARG FILE_TIME
WORKDIR /src
# The environment that scripts are to run in, without what is in it.
RUN uv venv /opt/detbox/env
COPY --from=requirements /src/build.txt ./
COPY --from=wheel /wheels /wheels
COPY README.md pyproject.toml ./
COPY third_party/object_detection third_party/object_detection
COPY entrypoint entrypoint
COPY app app
# uv notes when it read a wheel. Whoever mounts a file of ours over the image's gets that: the hash is checked.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv build --wheel --build-constraints build.txt --require-build-hashes --out-dir /wheels . \
    && uv pip install --python /opt/detbox/env --no-deps --target /opt/detbox/code /wheels/*.whl \
    && rm -f /opt/detbox/code/.lock /opt/detbox/code/*.dist-info/uv_cache.json \
    && sed --in-place /uv_cache.json/d /opt/detbox/code/*.dist-info/RECORD \
    && compile-packages checked-hash /opt/detbox/code \
    && mkdir --parents /layer/opt/detbox \
    && mv /opt/detbox/code /layer/opt/detbox/ \
    && find /layer -exec touch --no-dereference --date="${FILE_TIME}" {} +

# What is in the image, and what it was made of: sbom.cdx.json and provenance.json.
FROM base AS manifest
ARG FILE_TIME
ARG BASE_IMAGE
ARG ACCELERATOR
ARG EXTRAS
ARG REVISION=unknown
RUN --mount=type=bind,from=environment,source=/layer/opt/detbox/env,target=/opt/detbox/env \
    --mount=type=bind,from=code,source=/layer/opt/detbox/code,target=/opt/detbox/code \
    --mount=type=bind,source=uv.lock,target=/src/uv.lock \
    --mount=type=bind,source=scripts/describe-image,target=/src/describe-image \
    mkdir --parents /layer/opt/detbox \
    && /opt/detbox/env/bin/python /src/describe-image --lock=/src/uv.lock /layer/opt/detbox \
    && find /layer -exec touch --no-dereference --date="${FILE_TIME}" {} +

FROM base AS system
ARG FILE_TIME
ARG UID=1000
ARG GID=1000
# --non-unique: Ubuntu's image has a user 1000 already. A named volume takes over owner and mode of these folders: as in
# /tmp any user may make a run in a volume that is new, so UID in .env needs no other image.
# SOURCE_DATE_EPOCH: useradd writes down the day.
RUN touch --date="1 second ago" /dev/shm/began \
    && SOURCE_DATE_EPOCH="$(date --date="${FILE_TIME}" +%s)" && export SOURCE_DATE_EPOCH \
    && groupadd --non-unique --gid "${GID}" detbox \
    && useradd --non-unique --no-log-init --uid "${UID}" --gid "${GID}" --home-dir /tmp --no-create-home detbox \
    && install --directory --owner="${UID}" --group="${GID}" /data \
    && install --directory --mode=1777 --owner="${UID}" --group="${GID}" /models /results \
    && find /etc /data /models /results -xdev -newer /dev/shm/began \
        ! -path /etc/hosts ! -path /etc/resolv.conf -exec touch --no-dereference --date="${FILE_TIME}" {} +

FROM system AS runtime
ARG UID=1000
ARG GID=1000
COPY --from=environment /layer/ /
COPY --from=code /layer/ /
COPY --from=manifest /layer/ /
# HOME, and with it every cache, is the one place that is writable under any user on a read-only root. What a
# driver compiles for a GPU that TensorFlow has no kernels for takes minutes, so that is kept with the runs.
# NVIDIA_REQUIRE_CUDA: the base image refuses drivers before its own CUDA (but for those of data centers), and all of
# CUDA 12 runs on those of 12.0. What a GPU needs beyond that, detbox says itself (app/machine/gpus.py).
ENV PATH=/opt/detbox/code/bin:/opt/detbox/env/bin:${PATH} \
    HOME=/tmp \
    USER=detbox \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_REQUIRE_CUDA=cuda>=12.0 \
    CUDA_CACHE_PATH=/models/.cuda-cache \
    CUDA_CACHE_MAXSIZE=4294967296 \
    DETBOX_MODELS_DIR=/models
# data/flowers in .env is ./data/flowers on the host and /data/flowers here.
WORKDIR /
USER ${UID}:${GID}
EXPOSE 6006
ENTRYPOINT ["/usr/bin/tini", "--", "detbox"]
CMD ["--help"]
# A label can't be read from a file: a test holds the version to pyproject.toml's.
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ENV DETBOX_REVISION=${REVISION}
LABEL org.opencontainers.image.title="detbox" \
      org.opencontainers.image.description="A training appliance for the TensorFlow 2 Object Detection API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
