"""What is made from reports and traces of GMEM. report: reading; show: numbers as people read them; diff, page: the verbs of gmem-report."""
