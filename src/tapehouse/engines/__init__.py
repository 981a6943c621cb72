"""Who calls the kernel: `embedded` with threads on one machine, `spark` by tasks on many; both call the same kernel.

`tasks` says what a distributed engine offers; what a run does with it is for `runs.distributed` to say. `sql` says the
rules in SQL for tables in place, where no kernel is called.
"""
