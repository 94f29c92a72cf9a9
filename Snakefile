"""One job for each notebook of each run, and for each step that several of them need; `research
run` writes the list of jobs and calls this.

A job depends on its fingerprint alone, a hash over package, notebook, data, parameters and
versions, so that dates of files play no part (`ancient`). Its output is a stamp outside the run's
folder: Snakemake removes the outputs of a job before it starts, and the results of an earlier run
must survive a failure. The command is self-contained, so any executor of Snakemake can run it where
the project's folder is accessible.
"""


def job(wildcards):
    return config["jobs"][f"{wildcards.study}/{wildcards.run}/{wildcards.notebook}"]


rule all:
    input:
        [f"{config['stamps']}/{key}" for key in config["jobs"]],


# what several notebooks of a run need; if it fails, each of them computes it
rule shared:
    output:
        touch(config["shared_stamps"] + "/{study}/{run}/{step}"),
    wildcard_constraints:
        study="[^/]+",
        run="[^/]+",
        step="[^/]+",
    shell:
        "{config[python]:q} -m research.batch.shared {config[listing]:q}"
        " {wildcards.study:q}/{wildcards.run:q}/{wildcards.step:q} || true"


rule notebook:
    input:
        ancient(lambda wildcards: job(wildcards)["inputs"]),
        ancient(lambda wildcards: job(wildcards)["needs"]),
    output:
        touch(config["stamps"] + "/{study}/{run}/{notebook}"),
    params:
        fingerprint=lambda wildcards: job(wildcards)["fingerprint"],
    wildcard_constraints:
        study="[^/]+",
        run="[^/]+",
        notebook="[^/]+",
    shell:
        "{config[python]:q} -m research.batch.job {config[listing]:q}"
        " {wildcards.study:q}/{wildcards.run:q}/{wildcards.notebook:q}"
