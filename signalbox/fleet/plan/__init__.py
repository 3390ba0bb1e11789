"""What a deploy would change: examined like a deploy, told for people and for programs."""

from signalbox.fleet.plan.report import Change, HostReport, Report, examine

__all__ = ["Change", "HostReport", "Report", "examine"]
