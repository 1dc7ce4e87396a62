"""The audit of the firmware's tables of processors and memory slots."""

from __future__ import annotations

from tcptop.accounting.contradictions.audit import Audit, examine
from tcptop.accounting.contradictions.hardware_relations import ARRAY_RELATION, PROCESSOR_RELATIONS, devices_of_arrays
from tcptop.accounting.contradictions.relation import Machine


def check_hardware(audit: Audit, machine: Machine) -> None:
    """Checks the processors and the arrays of memory slots of the firmware's tables."""
    smbios = audit.snapshot.smbios.value
    if smbios is None:
        return
    checked = [examine(processor, PROCESSOR_RELATIONS, machine) for processor in smbios.processors]
    sentences = [text for texts, _ in checked for text in texts]
    arrays = []
    for pair in devices_of_arrays(smbios):
        text = ARRAY_RELATION.failure(pair, machine)
        sentences += [text] if text else []
        arrays.append(pair.array._replace(slots=None) if text else pair.array)
    processors = tuple(processor for _, processor in checked)
    audit.mark("smbios", sentences, smbios._replace(processors=processors, memory_arrays=tuple(arrays)))
