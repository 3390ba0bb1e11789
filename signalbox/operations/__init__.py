"""The operations that tasks are made of: each compares a fact with what is wanted, then changes or does nothing.

They exist where pyinfra has none (linger, subordinate ids, user units that run what is on disk) and where
what is placed must be written to the manifest in the same breath.
"""

from signalbox.operations.accounts import authorized_keys, linger, password, subordinate_ids, sudo_rule, user
from signalbox.operations.by_hand import container_set_aside, file_set_aside, shells_without
from signalbox.operations.choices import choice
from signalbox.operations.containers import image
from signalbox.operations.controllers import controllers_known
from signalbox.operations.engines import engine_known
from signalbox.operations.files import absent, directories, file, files, first_line, handed_directory, link, links
from signalbox.operations.firewall import firewall_rules
from signalbox.operations.guarded import nothing_waits
from signalbox.operations.homes import private_home
from signalbox.operations.in_effect import in_effect
from signalbox.operations.kernel import kernel_settings
from signalbox.operations.keys import generated_key, key_copy, new_key, secret_file
from signalbox.operations.leftovers import (
    docker_storage_gone,
    leftovers_gone,
    only_unit,
    state_gone,
    taken_away,
)
from signalbox.operations.models import model_file, models_gone
from signalbox.operations.packages import debian_sources, docker_repository, packages
from signalbox.operations.services import manager_environment, service
from signalbox.operations.ssh import sshd_as_before, sshd_configuration
from signalbox.operations.system import kernel_modules, trusted_certificates
from signalbox.operations.tools import node_of, tool
from signalbox.operations.units import unit, units_stopped

__all__ = [
    "absent",
    "authorized_keys",
    "choice",
    "container_set_aside",
    "controllers_known",
    "debian_sources",
    "directories",
    "docker_repository",
    "docker_storage_gone",
    "engine_known",
    "file",
    "file_set_aside",
    "files",
    "firewall_rules",
    "first_line",
    "generated_key",
    "handed_directory",
    "image",
    "in_effect",
    "kernel_modules",
    "kernel_settings",
    "key_copy",
    "leftovers_gone",
    "linger",
    "link",
    "links",
    "manager_environment",
    "model_file",
    "models_gone",
    "new_key",
    "node_of",
    "nothing_waits",
    "only_unit",
    "packages",
    "password",
    "private_home",
    "secret_file",
    "service",
    "shells_without",
    "sshd_as_before",
    "sshd_configuration",
    "state_gone",
    "subordinate_ids",
    "sudo_rule",
    "taken_away",
    "tool",
    "trusted_certificates",
    "unit",
    "units_stopped",
    "user",
]
