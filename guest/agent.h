/*
 * The launcher's agent in the guest: gets the order to run a program, starts it,
 * carries its streams and signals, and reports how it ended.
 *
 * Call order: agent_connect(), agent_greet(), agent_serve(); agent_fail() at any point.
 */
#ifndef SMOLPACK_GUEST_AGENT_H
#define SMOLPACK_GUEST_AGENT_H

#include "error.h"

/**
 * agent_connect() - begin to connect to the launcher; does not wait
 *
 * Return: the control connection, or -1 with @error set.
 */
int agent_connect(struct error *error);

/**
 * agent_greet() - say HELLO as soon as the launcher is there
 *
 * Return: 0, or -1 with @error set.
 */
int agent_greet(int control, struct error *error);

/**
 * agent_serve() - run the program that the launcher orders, until the machine ends
 *
 * The caller is process 1 (of its process id namespace), leader of a session without a
 * terminal, and has descriptors 0, 1 and 2 occupied.
 */
_Noreturn void agent_serve(int control);

/**
 * agent_fail() - tell the launcher why there will be no program; wait to be ended
 *
 * Returns only when the launcher cannot be told.
 */
void agent_fail(int control, const struct error *error);

#endif
