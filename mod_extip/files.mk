# Which .c files go where; both Makefiles read it. A file that is in none of the
# lists is the helper's alone: a new source_x.c, for example.

# mod_extip.so, with ProFTPD inside
extip_module_only = mod_extip arrivals check check_run directives forward_ports \
  forward_status forward_table ftpdctl helper log metrics plan router_conf \
  session session_forwards shared status summary verdict

# mod_extip.so and extip-helper
extip_both = behind_nat clock confine extract ipv4 json percent portforward \
  printable probe table table_file task uri vote

# extip-upnp; all but the first are the helper's, too
extip_upnp_only = extip-upnp
extip_upnp_both = confine ipv4 upnp
