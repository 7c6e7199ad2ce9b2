# Airflow with all of AMATO, for docker-compose.yml. The environment is the one of `make install`:
# the same pinned tools install the same hash-checked packages.
FROM python:3.11.13-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
COPY local_stack/requirements-bootstrap.txt requirements.txt /build/
RUN python -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /build/requirements-bootstrap.txt \
    && python -m venv --without-pip /opt/venv \
    && /opt/uv/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes --compile-bytecode /build/requirements.txt
COPY elt/native /build/native
RUN /opt/venv/bin/python /build/native/build.py

FROM python:3.11.13-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libmariadb3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 50000 --gid 0 --create-home amato \
    && install --directory --owner=50000 --group=0 --mode=2770 \
        /opt/airflow /opt/airflow/logs /amato /amato/home /amato/truth \
    && chmod 2770 /home/amato
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/amato
COPY dags dags
COPY data_generators data_generators
COPY dbt_project dbt_project
COPY ddl ddl
COPY elt elt
COPY --from=build /build/native/*.so elt/native/
COPY great_expectations great_expectations
COPY local_stack local_stack
COPY ml ml
COPY plugins plugins
COPY report_pages report_pages
COPY docker/airflow docker/airflow
COPY tests/data/CDNOW_master.txt.gz tests/data/CDNOW_master.txt.gz
# The commit that was built: models say which code trained them.
ARG AMATO_COMMIT=
ENV AMATO_COMMIT=$AMATO_COMMIT
# The user id may be any: name and home are given, as it has no entry in /etc/passwd.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/amato \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/home/amato \
    USER=amato \
    LOGNAME=amato
USER 50000:0
ENTRYPOINT ["sh", "/opt/amato/docker/airflow/entrypoint.sh"]
CMD ["airflow", "version"]
