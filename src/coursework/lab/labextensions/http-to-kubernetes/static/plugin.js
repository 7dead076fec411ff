// JupyterLab loads this file as it is: a module federation container written by hand, since a build
// by npm would bring thousands of files for these lines.

// Save a notebook whenever one of its cells is run: a check then knows what its cells say.
function saveWhatRuns(NotebookActions, tracker) {
  const saving = new Set();
  const again = new Set();
  const save = async (context) => {
    if (saving.has(context)) {
      again.add(context);
      return;
    }
    saving.add(context);
    try {
      do {
        again.delete(context);
        await context.save();
      } while (again.has(context));
    } catch (error) {
      // JupyterLab itself has told the reader.
      console.warn("not saved", error);
    } finally {
      saving.delete(context);
    }
  };
  const saveOf = (_, { notebook }) => {
    const panel = tracker.find((each) => each.content === notebook);
    if (panel && !panel.isDisposed && !panel.context.model.readOnly) {
      void save(panel.context);
    }
  };
  NotebookActions.executionScheduled.connect(saveOf);
  NotebookActions.executed.connect(saveOf);
}

// File → New → Terminal names no folder: take that of the notebook that was looked at last.
function openTerminalsBesideTheNotebook(terminals, tracker) {
  const startNew = terminals.startNew.bind(terminals);
  terminals.startNew = (options) => {
    const path = tracker.currentWidget?.context.localPath;
    if (options?.cwd || !path) {
      return startNew(options);
    }
    return startNew({ ...options, cwd: path.split("/").slice(0, -1).join("/") || "." });
  };
}

// START.md is rewritten after each whole check: whoever comes back to its tab sees it as it is now.
function showTheStartPageAsItIs(shell) {
  shell.currentChanged.connect((_, { newValue }) => {
    const context = newValue?.context;
    if (context?.localPath === "START.md" && context.isReady && !context.model.dirty) {
      context.revert().catch((error) => console.warn("not read again", error));
    }
  });
}

let shared;
window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB["http-to-kubernetes"] = {
  init: (scope) => {
    shared = scope;
  },
  get: async () => {
    const [version] = Object.values(shared["@jupyterlab/notebook"]);
    const { INotebookTracker, NotebookActions } = (await version.get())();
    const plugin = {
      id: "http-to-kubernetes:plugin",
      description: "Saves what is run, opens terminals beside the notebook, reloads START.md.",
      autoStart: true,
      requires: [INotebookTracker],
      activate: (app, tracker) => {
        saveWhatRuns(NotebookActions, tracker);
        openTerminalsBesideTheNotebook(app.serviceManager.terminals, tracker);
        showTheStartPageAsItIs(app.shell);
      },
    };
    return () => ({ __esModule: true, default: plugin });
  },
};
