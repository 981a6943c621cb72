"""Deployments on AWS: typed settings and names, constructs and blueprints of the CDK, their capacity and cost, what
deploys them, and the requirements they prove. Reads contracts and ships handlers; runs none of them.
"""
