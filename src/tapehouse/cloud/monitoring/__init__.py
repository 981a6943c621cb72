"""What is measured, when somebody is told, and what is shown, each apart from the others: metrics know no threshold,
alarms know no dashboard. A stack of its own, which knows the deployment by its names alone: either can be replaced
without the other.
"""
