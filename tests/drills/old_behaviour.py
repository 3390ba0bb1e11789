"""What was once seen to destroy or change a person's things unsaid: the test of each, and the code of before put back.

A test that passes with the code of before shows nothing. What only a host can show is a cell of a drill, with its own
control; it is named here too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.drills import record, reports
from tests.drills.drill import Figures
from tests.drills.stage import Stage

KEPT, UNSAID, LEFT = "tests/plan/test_kept.py", "tests/plan/test_unsaid.py", "tests/plan/test_leftovers.py"
UNIT, ENGINES = "tests/unit/test_originals.py", "tests/plan/test_engines.py"
PARTS = ("signalbox", "tasks", "templates", "group_data", "tests", "pyproject.toml", "deploy.py", "remove.py",
         "verify.py", "inventory.py")  # fmt: skip
PAGE = record.DOCS / "unsaid_rows.md"
HEAD = (
    "# unsaid: what was seen once",
    "",
    "What a sceptical look found that a deploy or `remove.py` did to a host that was not bare, and what shows now that"
    " it does not. Control: with the code of before in this file, the test fails; see the cell `old-behaviour` of"
    " [unsaid](unsaid.md). Cells are of [lived_in](lived_in.md), [unsaid](unsaid.md), [lockout](lockout.md) and"
    " [adopt](adopt.md), with controls of their own.",
)


@dataclass(frozen=True)
class Before:
    """What was seen, and how it comes again.

    path: file that is made as before: `now` in it, which is there once, is replaced by `before`. test: pytest's name
    of what fails then. cells: what shows it on a host.
    """

    seen: str
    path: str
    now: str
    before: str
    test: str
    cells: str = ""


SEEN = (
    Before("remove.py deletes a rootless Docker's volumes when that Docker does not answer",
           "signalbox/operations/leftovers.py", '"answered":\n        return None', '"answered":\n        return []',
           f"{KEPT}::test_a_docker_that_does_not_answer_keeps_what_it_holds", "lived_in life"),
    Before("a deploy on a full disk empties ~/.bashrc and says success",
           "signalbox/shell/originals.py", "&& {{ {edit}; }} <", "&& {{ {edit} || true; }} <",
           f"{UNIT}::test_a_filter_that_breaks_off_leaves_the_file_as_it_is", "lived_in full, helpers"),
    Before("apt removes a person's packages unsaid",
           "signalbox/operations/packages.py", "    if not kept:\n        return []", "    return []",
           f"{KEPT}::test_packages_that_apt_would_remove_stop_a_deploy_before_it", "lived_in refused"),
    Before("remove.homes deletes through mounts below the home",
           "signalbox/operations/leftovers.py", "return [said] if there else []", "return []",
           f"{KEPT}::test_a_mount_below_a_home_that_goes_stops_remove_before_it", "lived_in sections"),
    Before("edits of our files, and files in the place of our links, are overwritten without a copy",
           "signalbox/operations/files.py", 'return now.type in ("file", "link") and not is_ours', "return False",
           f"{UNIT}::test_a_file_of_a_persons_in_the_place_of_our_link_is_kept", "lived_in life"),
    Before("a key with options in authorized_keys goes with the bare one",
           "signalbox/shell/removal/__init__.py", "$1 == kind && $2 == blob", "index($0, kind FS blob)",
           f"{UNIT}::test_a_key_with_options_stays_when_ours_of_the_same_goes", "lived_in life"),
    Before("a key with options in authorized_keys gets a bare one beside it",
           "signalbox/operations/accounts.py", '[:2])} " in line for', '[:2])} " == line for',
           f"{KEPT}::test_a_key_that_stands_with_options_is_not_put_beside_them", "lived_in life"),
    Before("a ~/.bashrc that is a link becomes a file",
           "signalbox/shell/originals.py", 'sh("p=$(readlink -f {})", path)', 'sh("p={}", path)',
           f"{UNIT}::test_an_edit_that_is_none_leaves_the_file_where_a_link_leads", "lived_in life, full"),
    Before("purging a package takes configuration that was there before it",
           "signalbox/shell/removal/packages.py",
           'for word in ("-e", entry.id)]\n    return', "for word in ()]\n    return",
           f"{UNIT}::test_a_package_whose_configuration_was_there_is_not_purged", "lived_in life"),
    Before("packages of npm -g go with remove.py",
           "signalbox/shell/removal/tools.py",
           '"rm -rf --one-file-system $d/bin/node', '"rm -rf --one-file-system $d $d/bin/node',
           f"{UNIT}::test_what_npm_has_installed_stays_when_node_goes", "lived_in life"),
    Before("a user's login shell is not given back",
           "signalbox/shell/removal/__init__.py", "|| usermod --shell {before} {account}", "|| true {before}",
           f"{UNIT}::test_a_login_shell_is_given_back_unless_another_was_chosen_since", "lived_in life"),
    Before("the guard is fooled by a tunnel whose packets pass as established",
           "templates/firewall/firewall.nft.j2", '        udp dport { {{ doubted | join(", ") }} } drop\n', "",
           f"{UNSAID}::test_a_vpns_datagrams_of_before_do_not_pass_for_answers_at_a_first_deploy", "lockout tunnel"),
    Before("the first plan names no service that the firewall shuts",
           "tasks/firewall.py", "    if unsaid:\n        ports", "    if unsaid and False:\n        ports",
           f"{UNSAID}::test_a_first_deploy_shuts_no_service_unsaid", "unsaid shut, shut-said"),
    Before("who came in lately by a way that the rules shut is not named",
           "tasks/firewall.py", "heard.get(address, contains(ssh, address))", "contains(ssh, address)",
           f"{UNSAID}::test_who_came_lately_is_tried_as_packets_against_the_new_rules", "unsaid came-in"),
    Before("root's Docker is stopped with running containers",
           "tasks/rootless_docker.py", "if before.containers and not settings.replaces_root", "if False",
           f"{UNSAID}::test_running_containers_are_not_stopped_unsaid", "unsaid root-docker"),
    Before("remove.py does not start root's Docker again",
           "signalbox/shell/removal/__init__.py",
           '"stopped": lambda: unit_started(entry)', '"stopped": lambda: nothing',
           f"{UNSAID}::test_a_removal_starts_them_again", "unsaid root-docker"),
    Before("a jail whose log lies below /home takes every jail down",
           "templates/fail2ban/50-signalbox.conf.j2", "ProtectHome=read-only", "ProtectHome=yes",
           f"{UNSAID}::test_a_persons_jails_keep_their_own_limits_and_see_their_logs", "unsaid own-jails"),
    Before("our [DEFAULT] overrides the person's jail.local",
           "templates/fail2ban/signalbox.local.j2", "[sshd]\n", "[DEFAULT]\n",
           f"{UNSAID}::test_a_persons_jails_keep_their_own_limits_and_see_their_logs", "unsaid own-jails"),
    Before("a Node in ~/.config/mise/config.toml breaks a first deploy half way",
           "signalbox/operations/tools.py", " && cd $d && export MISE_CEILING_PATHS=$d", " && cd $HOME",
           f"{KEPT}::test_another_node_comes_beside_the_one_that_is_there_and_takes_its_place_whole", "lived_in life"),
    Before("a skill of the name of ours makes every deploy fail",
           "tasks/launchers.py", 'if now.type == "directory"]', "if False]",
           f"{UNSAID}::test_a_skill_of_the_same_name_stays"),
    Before("of a renamed user it is not told what stops, and it is told that what stays goes",
           "tasks/service_user.py", 'if entry.kind == "linger" and', "if False and",
           f"{UNSAID}::test_of_a_renamed_user_it_is_told_what_stops_and_what_stays", "lived_in sections"),
    Before("sections that cannot work without one another are accepted",
           "signalbox/settings/rules/between_sections.py", "= [gateway, lanes, firewall]", "= []",
           "tests/plan/test_bad_settings.py::test_refused_before_anything_is_executed", "lived_in sections"),
    Before("service_user.enabled = False always ends as a lock-out that is taken back",
           "tasks/service_user.py", 'want("key", entry.id)', "continue",
           f"{LEFT}::test_the_users_keys_stay_as_it_does_when_its_section_is_off", "lived_in sections"),
    Before("a changed range of subordinate ids is adopted",
           "signalbox/operations/accounts.py", "elif entry and entry.hash != now.first_subid", "elif False",
           f"{KEPT}::test_subordinate_ids_that_somebody_changed_are_given_back", "lived_in sections"),
    Before("a renamed gateway user stays, and nobody knows of it",
           "tasks/remove.py", "if shell == NOLOGIN and name", "if False and name",
           f"{LEFT}::test_an_earlier_gateway_user_goes_with_its_home", "lived_in sections"),
    Before("Node is gone when a reinstallation meets a full disk",
           "signalbox/operations/tools.py", '" && d=$(mktemp -d) && trap', '" && rm -r {below}; d=$(mktemp -d) && trap',
           f"{KEPT}::test_another_node_comes_beside_the_one_that_is_there_and_takes_its_place_whole"),
    Before("adopt leaves a shell file that does not parse",
           "signalbox/shell/originals.py", '"$p".signalbox-new && {check}', '"$p".signalbox-new',
           f"{UNIT}::test_an_edit_that_is_none_leaves_the_file_where_a_link_leads", "adopt"),
    Before("a data-root in daemon.json drops out of view",
           "tasks/rootless_docker.py", "    _no_key_lost(daemon, wanted)\n", "",
           f"{KEPT}::test_keys_of_a_persons_own_daemon_json_are_not_lost"),
    Before("the plan is clean though a later file makes a name untrue",
           "signalbox/operations/in_effect.py", "    if not others:", "    if others or not others:",
           f"{UNSAID}::test_a_later_file_that_makes_a_name_untrue_is_named_and_left", "unsaid promises, generated"),
    Before("a unit whose file is placed is read again, which no plan names",
           "signalbox/engine/changes.py", "return any(path == unit", "return False and any(path == unit",
           f"{UNSAID}::test_a_unit_whose_file_is_placed_before_it_is_read_again_and_that_is_planned",
           "lived_in sections"),
    Before("an edit of a person's file loses its ACL",
           "signalbox/shell/originals.py", "cp -a --attributes-only -T", "true",
           f"{UNIT}::test_an_edit_keeps_who_may_read_the_file"),
    Before("remove.py applies all of sysctl.d again, and a Docker of root's has no network any more",
           "signalbox/shell/removal/__init__.py", "_AFTER = (\n",
           '_AFTER = (\n    ("/etc/sysctl.d/", sh("sysctl --quiet --system")),\n',
           "tests/unit/test_removal.py::test_no_other_kernel_setting_than_ours_is_given_back"),
    Before("a dotfile of two names (hard links) is torn into two files by an edit",
           "signalbox/shell/originals.py", 'if [ "$(stat -c %h "$p")" = 1 ]; then mv', "if true; then mv",
           f"{UNIT}::test_an_edit_leaves_a_file_the_one_that_its_other_names_are_of", "lived_in life, full"),
    Before("who lingered before does not any more after remove.py",
           "signalbox/operations/accounts.py", "*([] if now.linger else [known])", "known",
           f"{KEPT}::test_whoever_lingered_before_us_lingers_after_us", "lived_in life"),
    Before("the day on which an account expires is taken away with a shell, and not given back",
           "signalbox/operations/accounts.py", "        if now.expired:\n", "        if True:\n",
           f"{KEPT}::test_an_account_that_had_expired_is_valid_as_long_as_we_are_there", "lived_in life"),
    Before("logins that wtmpdb alone knows are not looked at",
           "signalbox/facts/visitors.py", "[ ! -e {db} ] || timeout", "true || timeout",
           "tests/unit/test_visitors.py::test_who_came_lately_is_read_from_wtmpdb_too", "unsaid came-in"),
    Before("what a user's Docker keeps by the driver vfs drops out of view",
           "tasks/rootless_docker.py", "if found and not found & DRIVERS", "if False",
           f"{ENGINES}::test_containers_that_another_driver_would_not_find_stop_a_deploy_before_it", "lived_in life"),
    Before("what runs in a user's Docker stops with its restart, unsaid",
           "signalbox/operations/services.py", 'and now.active and verb == "restart"', "and False",
           f"{ENGINES}::test_what_runs_in_a_docker_that_is_restarted_is_begun_again", "lived_in life, sections"),
    Before("remove.py does not begin a Docker of the user's own again",
           "signalbox/shell/removal/services.py", "    if of_user:\n", "    if False:\n",
           "tests/unit/test_engines.py::test_a_users_own_docker_begins_again_after_us", "lived_in life, sections"),
)  # fmt: skip


def old_behaviour(stage: Stage) -> Figures:
    """With the code of before, the test of each thing that was seen once fails; with the code as it is, all pass."""
    del stage  # no host has a part in it
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for part in PARTS:
            whole = record.PROJECT / part
            if whole.is_dir():
                shutil.copytree(whole, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(whole, copy / part)
        tests = list(dict.fromkeys(each.test for each in SEEN))
        done = _pytest(copy, *tests)
        assert done.returncode == 0, done.stdout[-3000:]
        passed = [each.seen for each in SEEN if not _fails_with(each, copy)]
    assert not passed, f"passed with the code of before: {passed}"
    return {"seen once": len(SEEN), "tests": len(tests), "control": "each fails with the code of before"}


def _fails_with(each: Before, copy: Path) -> bool:
    """Return whether the test fails with the code of before in the copy; AssertionError where that is not there."""
    path = copy / each.path
    text = path.read_text()
    assert text.count(each.now) == 1, f"{each.path} holds {text.count(each.now)} times {each.now!r}"
    path.write_text(text.replace(each.now, each.before))
    done = _pytest(copy, each.test, "-x")
    path.write_text(text)
    crashed = re.search(r"(Syntax|Name|Import|Attribute|Key|Index)Error", done.stdout)
    assert not crashed, f"{each.seen}: {done.stdout[-3000:]}"
    return done.returncode == 1  # 2 and more: pytest itself could not


def _pytest(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(line, cwd=copy, capture_output=True, text=True, check=False, timeout=600)


def write_page() -> None:
    """Write the page of what was seen once, and what shows it now."""
    rows = [record.row((each.seen, each.test.replace("::", " ").removeprefix("tests/"), each.path, each.cells))
            for each in SEEN]  # fmt: skip
    seen = ("what was seen | test | control: the code of before in | cells", rows)
    record.write_sections(PAGE, HEAD, {"Seen once": seen, "Reported of other tools": (reports.HEAD, reports.rows())})
