"""A plugin for lastwords: how much randomness the kernel has, and whether that is enough."""

from lastwords.hookspecs import Collector, Plan, Report, Script, hookimpl, rule
from lastwords.model import Finding, NoData, Proof, Severity

ENTROPY = "/proc/sys/kernel/random/entropy_avail"


# -- collector
class EntropyCollector(Collector):
    """Reads one number. Whatever it reads through ``root`` becomes evidence in the bundle."""

    name = "entropy"
    title = "randomness available to the kernel"
    reads = (ENTROPY,)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:lastwords-entropy:schema:entropy:1.0",
        "type": "object",
        "additionalProperties": False,
        "required": ["bits"],
        "properties": {
            "bits": {"description": "Entropy available.", "x-unit": "bits", "type": ["integer", "null"]}
        },
    }

    def collect(self, root):
        text = root.text(ENTROPY)  # None when it cannot be read; the root notes why
        if text is None:
            raise NoData("the kernel does not tell its entropy")
        yield {"bits": int(text)}


# -- rule
@rule("entropy-low", needs=("entropy",))
def entropy_low(case):
    """Less than 64 bits of entropy: reads of /dev/random may block, and a boot may hang on them."""
    bits = case.facts["entropy"]["bits"]
    if bits is not None and bits < 64:
        yield Finding(
            "entropy-low",
            Severity.WARNING,
            f"The kernel has only {bits} bits of entropy",
            "Programs that wait for randomness hang, at boot above all.",
            evidence=(Proof(ENTROPY, value=bits, threshold="64 or more"),),
            fix=("Give the machine a source: virtio-rng on a guest, or rng-tools.",),
        )


# -- report
class OneLine(Report):
    """One line an input, for a chat message."""

    name = "oneline"
    title = "one line, for a chat"

    def render(self, verdict, look):
        ids = ", ".join(finding.id for finding in verdict.findings) or "nothing to report"
        return f"{verdict.host['hostname']}: {ids}\n"


# -- plan
class MoreEntropy(Plan):
    """Yields a script, which a person reads and runs: ``lastwords plan entropy``."""

    name = "entropy"
    title = "let rngd feed the kernel"
    needs = ("entropy",)

    def make(self, case, arguments):
        bits = case.facts.get("entropy", {}).get("bits")
        return Script(
            title="Let rngd feed the kernel's random numbers",
            why=(f"The kernel had {bits} bits when the facts were gathered.",),
            apply="systemctl enable --now rngd.service",
            undo="systemctl disable --now rngd.service",
        )


# -- hooks
@hookimpl
def register_collectors(register):
    register(EntropyCollector())


@hookimpl
def register_rules(register):
    register(entropy_low)


@hookimpl
def register_reports(register):
    register(OneLine())


@hookimpl
def register_plans(register):
    register(MoreEntropy())


@hookimpl
def register_commands(subparsers):
    parser = subparsers.add_parser("entropy", help="print the entropy of this host")
    parser.set_defaults(run=print_entropy)


def print_entropy(arguments):
    with open(ENTROPY) as stream:
        print(stream.read().strip())
    return 0
