"""The judge: from a drill's record to its verdict, by the record alone. Pure.

How it decides, where that is not the record's own word (``drkit.drill.record``):

- Time is that of questions' ``due``. What had ended when the first fault was sent belongs to the steady state, what
  was on its way belongs to the fault.
- An outage's seconds lie within ± Δ of what a user would have noticed. A window is exceeded where the seconds measured
  are more than the window (simple acceptance, JCGM 106:2012, 8.2: the risk of being wrong is shared between both
  sides); where they are closer to it than Δ, a note says that one run cannot tell.
- A window of 0 means that no question may fail. One that is shorter than the time between two questions, and not 0,
  cannot be judged.
- What cannot be known from the record is no merit and no fault of the cluster: the run is invalid. What the cluster
  did not do in time (promote, become whole, keep one primary) is its fault: exceeded.
- Acknowledged writes that are gone are lost even in a run that is invalid.
"""
